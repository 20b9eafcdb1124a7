// SPDX-License-Identifier: BSD-3-Clause
//
// The engine and its dependencies, nothing else: linked with this as the only root and measured, never run.

#include "Engine.hpp"

Engine engine;

extern "C" bool motion_footprint()
{
	return engine.invoke();
}
