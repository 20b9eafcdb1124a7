// SPDX-License-Identifier: BSD-3-Clause
//
// Which engine the bench programs measure.

#pragma once

#include "engine/CompiledEngine.hpp"
#include "model/CompiledModel.hpp"

using Engine = motion::engine::CompiledEngine<motion::model::CompiledModel>;
