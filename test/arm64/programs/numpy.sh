export LD_LIBRARY_PATH=/usr/lib/aarch64-linux-gnu/blas:/usr/lib/aarch64-linux-gnu/lapack
python3 - <<'P'
import numpy as np
a = np.arange(10000, dtype=np.float64).reshape(100, 100) % 17
print(np.linalg.det(a[:4, :4] + np.eye(4)).round(9), (a @ a.T).sum(), np.fft.fft(np.arange(8)).real.round(6).tolist())
rng = np.random.default_rng(1); x = rng.standard_normal(1000, dtype=np.float32)
print(round(float(np.sort(x)[500]), 7), float(np.float16(1) / np.float16(3)), np.linalg.solve(a[:3, :3] + 3 * np.eye(3), [1, 2, 3]).round(9).tolist())
print(np.array(["b", "a"]).argsort().tolist(), np.bincount(np.arange(100) % 7).tolist())
P
