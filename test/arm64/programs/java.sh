cat >/tmp/Program.java <<'JAVA'
import java.util.concurrent.*;
import java.util.stream.*;
public class Program {
  public static void main(String[] args) throws Exception {
    System.out.println(IntStream.range(0, 1000000).mapToLong(i -> (long) i * i % 7).sum());
    ExecutorService pool = Executors.newFixedThreadPool(4);
    Future<Integer> result = pool.submit(() -> IntStream.rangeClosed(1, 10).reduce(1, (a, b) -> a * b % 1009));
    System.out.println(result.get() + " " + System.getProperty("os.arch"));
    pool.shutdown();
    System.out.println(Math.sqrt(2) + " " + String.format("%.3f", Math.PI));
    try { Object o = null; o.hashCode(); } catch (NullPointerException e) { System.out.println("caught"); }
  }
}
JAVA
cd /tmp && /usr/lib/jvm/java-17-openjdk-arm64/bin/java -XX:-UsePerfData Program.java
