"""Typed values into C++, CMake and HTML; source trees on disk; compilers."""
