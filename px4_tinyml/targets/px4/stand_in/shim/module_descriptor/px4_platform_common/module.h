// SPDX-License-Identifier: BSD-3-Clause
//
// Stand-in for PX4's ModuleBase as it is from v1.18 on.

#pragma once

#include "Module.hpp"

using ModuleBase = px4_host::Module;
