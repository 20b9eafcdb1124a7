// SPDX-License-Identifier: BSD-3-Clause
//
// The engine of this tree and the model it runs: MOTION_ENGINE_TFLM chooses TensorFlow Lite Micro.

#pragma once

#if defined(MOTION_ENGINE_TFLM)

#include "engine/TflmEngine.hpp"
#include "model/TflmModel.hpp"

using Model = motion::model::TflmModel;
using Engine = motion::engine::TflmEngine<Model>;

#else

#include "engine/CompiledEngine.hpp"
#include "model/CompiledModel.hpp"

using Model = motion::model::CompiledModel;
using Engine = motion::engine::CompiledEngine<Model>;

#endif
