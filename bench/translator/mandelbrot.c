// How long points of the complex plane stay within a circle.
#include "workload.h"

int main(int argc, char** argv) {
  int size = (int)size_of_run(argc, argv, 1300);
  uint64_t sum = 0;
  for (int row = 0; row < size; row++) {
    for (int column = 0; column < size; column++) {
      double cr = 3.0 * column / size - 2.0;
      double ci = 2.0 * row / size - 1.0;
      double zr = 0;
      double zi = 0;
      int steps = 0;
      while (steps < 400 && zr * zr + zi * zi <= 4.0) {
        double next = zr * zr - zi * zi + cr;
        zi = 2 * zr * zi + ci;
        zr = next;
        steps++;
      }
      sum += (uint64_t)steps * (uint64_t)(row + 1);
    }
  }
  return report(mix(1, sum));
}
