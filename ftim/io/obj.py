"""OBJ with MTL and the texture as PNG: the head with the photograph's expression, for tools without morph targets."""

from __future__ import annotations

from pathlib import Path

from ftim.io.head_mesh import HeadMesh
from ftim.io.png import PLACEHOLDER, png_bytes
from ftim.outputs import whole_file

OPAQUE = "d 1.0\nillum 1\n"
"""For readers that take a material as transparent or shiny when it does not say: opaque, without highlights."""


def save_obj(mesh: HeadMesh, path: str | Path, texture: str | None = None) -> None:
    """Write ``<name>.obj``, ``<name>.mtl`` and ``<name>.png`` into one folder; OBJ counts v upwards.

    With ``texture``, the name of a PNG beside them that holds the mesh's texture already, no picture is written.
    Each file goes to a temporary name first, the OBJ last. Raises ``OutputError`` when one cannot be written.
    """
    path = Path(path)
    material, picture = f"{path.stem}.mtl", texture or f"{path.stem}.png"
    from trimesh.exchange.obj import export_obj

    text, files = export_obj(
        mesh.to_trimesh(pbr=False, expression=True, image=PLACEHOLDER),
        include_normals=True,
        return_texture=True,
        write_texture=False,
        mtl_name=material,
        header="",
        digits=7,
    )
    (written,) = (name for name in files if name != material)
    contents = {
        material: f"{files[material].decode().replace(written, picture).rstrip()}\n{OPAQUE}".encode(),
        path.name: text.encode(),
    }
    if texture is None:
        contents = {picture: png_bytes(mesh.texture)} | contents
    for name, content in contents.items():
        with whole_file(path.with_name(name)) as temporary:
            temporary.write_bytes(content)
