"""Races Embree on the rays that `benches/reflection.rs` wrote: one thread, least time of the repeats."""

import sys
import time

import numpy
from embreex.mesh_construction import TriangleMesh
from embreex.rtcore_scene import EmbreeScene

path, repeats = sys.argv[1], int(sys.argv[2])
data = open(path, "rb").read()
triangles, primary, secondary = (int(count) for count in numpy.frombuffer(data, "<u4", 3))
floats = numpy.frombuffer(data, "<f4", offset=12)
corners = floats[: 9 * triangles].reshape(-1, 3, 3).copy()
rays = floats[9 * triangles :][: 6 * (primary + secondary)].reshape(-1, 6)
ends = floats[9 * triangles + 6 * (primary + secondary) :]

scene = EmbreeScene()
mesh = TriangleMesh(scene, corners)


def race(some):
    origins, directions = rays[some, :3].copy(), rays[some, 3:].copy()
    least = 1e9
    for _ in range(max(repeats, 1)):
        start = time.perf_counter()
        scene.run(origins, directions)
        least = min(least, time.perf_counter() - start)
    return len(origins) / least / 1e6


def agree():
    found = scene.run(rays[:, :3].copy(), rays[:, 3:].copy(), query="DISTANCE")
    found = numpy.where(found < 1e20, found, -1.0)
    return int(numpy.sum(numpy.abs(found - ends) < 2e-3))


first = race(slice(0, primary))
second = race(slice(primary, primary + secondary))
print(f"embree  primary {first:6.2f} Mrays/s  secondary {second:6.2f} Mrays/s")
print(f"        {agree()} of {primary + secondary} rays end in the same place")
