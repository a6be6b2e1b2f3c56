// Five bodies under gravity, in double precision.
#include <math.h>

#include "workload.h"

typedef struct {
  double x, y, z, vx, vy, vz, mass;
} Body;

static void advance(Body* bodies, int count, double dt) {
  for (int i = 0; i < count; i++) {
    for (int j = i + 1; j < count; j++) {
      double dx = bodies[i].x - bodies[j].x;
      double dy = bodies[i].y - bodies[j].y;
      double dz = bodies[i].z - bodies[j].z;
      double square = dx * dx + dy * dy + dz * dz;
      double force = dt / (square * sqrt(square));
      bodies[i].vx -= dx * bodies[j].mass * force;
      bodies[i].vy -= dy * bodies[j].mass * force;
      bodies[i].vz -= dz * bodies[j].mass * force;
      bodies[j].vx += dx * bodies[i].mass * force;
      bodies[j].vy += dy * bodies[i].mass * force;
      bodies[j].vz += dz * bodies[i].mass * force;
    }
  }
  for (int i = 0; i < count; i++) {
    bodies[i].x += dt * bodies[i].vx;
    bodies[i].y += dt * bodies[i].vy;
    bodies[i].z += dt * bodies[i].vz;
  }
}

int main(int argc, char** argv) {
  Body bodies[] = {
      {0, 0, 0, 0, 0, 0, 39.5},
      {4.8, -1.2, -0.1, 0.6, 2.8, -0.02, 0.04},
      {8.3, 4.1, -0.4, -1.0, 1.8, 0.008, 0.01},
      {12.9, -15.1, -0.2, 1.1, 0.9, -0.01, 0.002},
      {15.4, -25.9, 0.2, 1.0, 0.6, -0.03, 0.002},
  };
  long steps = size_of_run(argc, argv, 4000000);
  for (long i = 0; i < steps; i++) advance(bodies, 5, 0.001);
  uint64_t sum = 0;
  for (int i = 0; i < 5; i++) {
    sum = mix(sum, bits_of(bodies[i].x));
    sum = mix(sum, bits_of(bodies[i].vy));
  }
  return report(sum);
}
