"""Draws CLEVR-like scenes with Blender's Cycles: scenes in by standard input, pixels out.

Run by the interpreter of an environment that has `bpy` (`zoo.data.render_clevr --setup` makes one),
in a process of its own; never imported by this package. Every line of the input is a scene as JSON:
`seed`, `camera` `[3]`, `lamps` `[3][3]` and `objects`, each with `shape`, `metal`, `rgb` `[3]`,
`size` (its half height), `centre` `[3]` and `rotation` in degrees. For every scene `[side, side,
4]` bytes are written: red, green, blue, and the number of the object (from 1) or 0.
"""

import argparse
import json
import math
import os
import pathlib
import sys
import tempfile

import bpy
import mathutils
import numpy as np

# Blender's own packages lie in the wheel, and off the path of the interpreter that imports it.
_BLENDER = pathlib.Path(bpy.utils.resource_path("LOCAL"))
sys.path += map(str, _BLENDER.glob("python/lib/*/site-packages"))
import OpenImageIO  # noqa: E402

_LAMPS = (  # watts, side, colour: CLEVR's key, fill and back lamps
    (160, 1.0, (1.0, 0.97, 0.93)),
    (60, 1.0, (0.93, 0.96, 1.0)),
    (100, 1.0, (1.0, 1.0, 1.0)),
)
_FLOOR = 0.45
_AMBIENT = 0.1


def main() -> None:
    """Draws the scenes of the input until it ends."""
    parser = argparse.ArgumentParser()
    parser.add_argument("--side", type=int, required=True)
    parser.add_argument("--samples", type=int, required=True)
    parser.add_argument("--half_width", type=float, required=True, help="slope of the view's edge")
    parser.add_argument("--drop", type=float, required=True, help="slope of the view's middle")
    arguments = parser.parse_args()
    # Blender reports on the standard output, which is ours for the pixels.
    pixels = os.fdopen(os.dup(1), "wb")
    os.dup2(os.open(os.devnull, os.O_WRONLY), 1)
    with tempfile.TemporaryDirectory() as folder:
        studio = _Studio(arguments, os.path.join(folder, "frame.exr"))
        for line in sys.stdin:
            pixels.write(studio.draw(json.loads(line)).tobytes())
            pixels.flush()


class _Studio:
    """What stays between scenes: floor, camera, lamps, meshes and materials."""

    def __init__(self, arguments: argparse.Namespace, path: str):
        bpy.ops.wm.read_factory_settings(use_empty=True)
        self._scene, self._path = bpy.context.scene, path
        self._settings(arguments)
        self._camera = self._add("camera", self._lens(arguments))
        self._scene.camera = self._camera
        self._lamps = [self._lamp(*lamp) for lamp in _LAMPS]
        self._meshes = _meshes()
        self._materials = {}
        self._objects = []
        floor = self._add("floor", _square(100.0))
        floor.data.materials.append(_material("floor", (_FLOOR,) * 3, 1.0, 0.0, 0.0, 1.45))

    def draw(self, scene: dict) -> np.ndarray:
        """`[side, side, 4]` uint8: the image, and the number of the object of every pixel."""
        self._scene.cycles.seed = scene["seed"]
        _aim(self._camera, scene["camera"])
        for lamp, position in zip(self._lamps, scene["lamps"], strict=True):
            _aim(lamp, position)
        for old in self._objects:
            bpy.data.objects.remove(old)
        self._objects = [self._object(i, o) for i, o in enumerate(scene["objects"], start=1)]
        self._scene.render.filepath = self._path
        bpy.ops.render.render(write_still=True)
        return _frame(self._path)

    def _settings(self, arguments: argparse.Namespace) -> None:
        render, cycles = self._scene.render, self._scene.cycles
        render.engine = "CYCLES"
        render.resolution_x = render.resolution_y = arguments.side
        render.resolution_percentage = 100
        render.threads_mode, render.threads = "FIXED", 1
        render.use_persistent_data = True
        render.image_settings.media_type = "MULTI_LAYER_IMAGE"
        render.image_settings.file_format = "OPEN_EXR_MULTILAYER"
        render.image_settings.color_depth = "32"
        render.image_settings.use_exr_interleave = True
        cycles.device = "CPU"
        cycles.samples = arguments.samples
        cycles.use_adaptive_sampling = cycles.use_denoising = False
        cycles.max_bounces = cycles.glossy_bounces = 3
        cycles.diffuse_bounces = 2
        cycles.caustics_reflective = cycles.caustics_refractive = False
        cycles.blur_glossy = 2.0
        cycles.sample_clamp_indirect = 3.0
        self._scene.view_layers[0].use_pass_object_index = True
        self._scene.world = world = bpy.data.worlds.new("world")
        _nodes(world)["Background"].inputs["Color"].default_value = (_AMBIENT,) * 3 + (1.0,)

    def _lens(self, arguments: argparse.Namespace) -> bpy.types.Camera:
        camera = bpy.data.cameras.new("camera")
        camera.lens, camera.sensor_width = 35.0, 2 * 35.0 * arguments.half_width
        camera.shift_y = -arguments.drop / (2 * arguments.half_width)
        return camera

    def _lamp(self, watts: float, side: float, colour: tuple) -> bpy.types.Object:
        light = bpy.data.lights.new("lamp", "AREA")
        light.energy, light.size, light.color = watts, side, colour
        return self._add("lamp", light)

    def _add(self, name: str, content) -> bpy.types.Object:
        thing = bpy.data.objects.new(name, content)
        self._scene.collection.objects.link(thing)
        return thing

    def _object(self, number: int, described: dict) -> bpy.types.Object:
        thing = self._add("object", self._meshes[described["shape"]])
        thing.location, thing.scale = described["centre"], (described["size"],) * 3
        thing.rotation_euler = (0, 0, math.radians(described["rotation"]))
        thing.pass_index = number
        # The meshes are shared, so the material belongs to the object.
        thing.material_slots[0].link = "OBJECT"
        thing.material_slots[0].material = self._coat(tuple(described["rgb"]), described["metal"])
        return thing

    def _coat(self, rgb: tuple, metal: bool) -> bpy.types.Material:
        if (rgb, metal) not in self._materials:
            # CLEVR takes its colours over 255 for linear light.
            linear = [channel / 255 for channel in rgb]
            looks = (0.15, 1.0, 0.5, 2.5) if metal else (0.7, 0.0, 0.33, 1.25)
            self._materials[rgb, metal] = _material("coat", linear, *looks)
        return self._materials[rgb, metal]


def _nodes(owner):
    if not owner.node_tree:
        owner.use_nodes = True
    return owner.node_tree.nodes


def _material(
    name: str, rgb, roughness: float, metallic: float, specular: float, ior: float
) -> bpy.types.Material:
    material = bpy.data.materials.new(name)
    values = {
        "Base Color": (*rgb, 1.0),
        "Roughness": roughness,
        "Metallic": metallic,
        "Specular IOR Level": specular,
        "IOR": ior,
    }
    for key, value in values.items():
        _nodes(material)["Principled BSDF"].inputs[key].default_value = value
    return material


def _aim(thing: bpy.types.Object, position) -> None:
    """Puts a camera or a lamp somewhere, looking at the origin."""
    thing.location = position
    direction = -mathutils.Vector(position)
    thing.rotation_euler = direction.to_track_quat("-Z", "Y").to_euler()


def _square(half: float) -> bpy.types.Mesh:
    mesh = bpy.data.meshes.new("square")
    corners = [(-half, -half, 0), (half, -half, 0), (half, half, 0), (-half, half, 0)]
    mesh.from_pydata(corners, [], [(0, 1, 2, 3)])
    return mesh


def _meshes() -> dict[str, bpy.types.Mesh]:
    """Shapes of half height 1, the edges of cube and cylinder rounded as CLEVR's are."""
    makers = {
        "cube": lambda: bpy.ops.mesh.primitive_cube_add(size=2),
        "sphere": lambda: bpy.ops.mesh.primitive_uv_sphere_add(segments=64, ring_count=32),
        "cylinder": lambda: bpy.ops.mesh.primitive_cylinder_add(vertices=64),
    }
    meshes = {}
    for name, make in makers.items():
        make()
        thing = bpy.context.object
        if name != "sphere":
            bevel = thing.modifiers.new("bevel", "BEVEL")
            bevel.width, bevel.segments, bevel.harden_normals = 0.08, 4, True
            bpy.ops.object.modifier_apply(modifier="bevel")
        bpy.ops.object.shade_smooth()
        meshes[name] = thing.data
        meshes[name].materials.append(None)
        meshes[name].use_fake_user = True
        bpy.data.objects.remove(thing)
    return meshes


def _frame(path: str) -> np.ndarray:
    """Image and object numbers of a multilayer EXR file, `[side, side, 4]` uint8."""
    file = OpenImageIO.ImageInput.open(path)
    names = [name.split(".", 1)[1] for name in file.spec().channelnames]
    pixels = np.asarray(file.read_image(OpenImageIO.FLOAT))
    file.close()
    channels = [names.index(f"Combined.{c}") for c in "RGB"]
    numbers = pixels[..., names.index("Object Index.X")]
    # Compared with the least light of every level: no power function, whose last bit may vary.
    image = np.searchsorted(_LEVELS, pixels[..., channels], side="right").astype(np.uint8)
    return np.concatenate([image, numbers[..., None].round().astype(np.uint8)], axis=-1)


def _levels() -> np.ndarray:
    """`[255]` linear light from which an sRGB byte is at least 1, 2, ..."""
    encoded = (np.arange(1, 256) - 0.5) / 255
    return np.where(encoded <= 0.04045, encoded / 12.92, ((encoded + 0.055) / 1.055) ** 2.4).astype(
        np.float32
    )


_LEVELS = _levels()

if __name__ == "__main__":
    main()
