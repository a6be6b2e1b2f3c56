cat >/tmp/program.js <<'JS'
const crypto = require("crypto");
const zlib = require("zlib");
let sum = 0;
for (let i = 0; i < 2e6; i++) sum = (sum * 31 + (i ^ (i >> 3))) % 1000003;
console.log(process.arch, sum);
console.log(crypto.createHash("sha256").update("dd").digest("hex"));
const data = Buffer.from("abc".repeat(10000));
console.log(zlib.gunzipSync(zlib.gzipSync(data)).equals(data));
console.log(JSON.stringify([3, 1, 2].sort()), (0.1 + 0.2).toString(), Math.fround(1.1));
const { Worker } = require("worker_threads");
new Worker("require('worker_threads').parentPort.postMessage(6 * 7)", { eval: true }).on("message", (m) => console.log("worker", m));
JS
node /tmp/program.js
