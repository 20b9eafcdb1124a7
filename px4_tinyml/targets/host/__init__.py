"""C++ for this computer."""
