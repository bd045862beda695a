"""Files that other tools open: the textured head as GLB, and as OBJ with MTL and PNG."""

from ftim.io.glb import save_glb
from ftim.io.head_mesh import HeadMesh, head_mesh
from ftim.io.obj import save_obj
from ftim.io.png import png_bytes

__all__ = ["HeadMesh", "head_mesh", "png_bytes", "save_glb", "save_obj"]
