"""The PX4 module on this computer: a small stand-in for uORB and ModuleBase, and logs played through it."""
