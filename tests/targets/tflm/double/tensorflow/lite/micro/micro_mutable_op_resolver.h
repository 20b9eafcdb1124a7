// SPDX-License-Identifier: BSD-3-Clause
//
// Part of the double: see micro_interpreter.h.

#pragma once

#include "tensorflow/lite/micro/micro_interpreter.h"

namespace tflite
{

template <unsigned int Count>
class MicroMutableOpResolver : public MicroOpResolver
{
};

} // namespace tflite
