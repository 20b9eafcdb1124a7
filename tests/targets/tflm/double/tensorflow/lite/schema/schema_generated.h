// SPDX-License-Identifier: BSD-3-Clause
//
// Part of the double: see tensorflow/lite/micro/micro_interpreter.h.

#pragma once

#include "tensorflow/lite/micro/micro_interpreter.h"
