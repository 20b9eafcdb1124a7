/****************************************************************************
 *
 *   Copyright (c) 2026 px4-tinyml contributors. All rights reserved.
 *
 * Redistribution and use in source and binary forms, with or without
 * modification, are permitted provided that the following conditions are met:
 *
 * 1. Redistributions of source code must retain the above copyright notice, this
 *    list of conditions and the following disclaimer.
 *
 * 2. Redistributions in binary form must reproduce the above copyright notice,
 *    this list of conditions and the following disclaimer in the documentation
 *    and/or other materials provided with the distribution.
 *
 * 3. Neither the name of the copyright holder nor the names of its
 *    contributors may be used to endorse or promote products derived from
 *    this software without specific prior written permission.
 *
 * THIS SOFTWARE IS PROVIDED BY THE COPYRIGHT HOLDERS AND CONTRIBUTORS "AS IS"
 * AND ANY EXPRESS OR IMPLIED WARRANTIES, INCLUDING, BUT NOT LIMITED TO, THE
 * IMPLIED WARRANTIES OF MERCHANTABILITY AND FITNESS FOR A PARTICULAR PURPOSE ARE
 * DISCLAIMED. IN NO EVENT SHALL THE COPYRIGHT HOLDER OR CONTRIBUTORS BE LIABLE
 * FOR ANY DIRECT, INDIRECT, INCIDENTAL, SPECIAL, EXEMPLARY, OR CONSEQUENTIAL
 * DAMAGES (INCLUDING, BUT NOT LIMITED TO, PROCUREMENT OF SUBSTITUTE GOODS OR
 * SERVICES; LOSS OF USE, DATA, OR PROFITS; OR BUSINESS INTERRUPTION) HOWEVER
 * CAUSED AND ON ANY THEORY OF LIABILITY, WHETHER IN CONTRACT, STRICT LIABILITY,
 * OR TORT (INCLUDING NEGLIGENCE OR OTHERWISE) ARISING IN ANY WAY OUT OF THE USE
 * OF THIS SOFTWARE, EVEN IF ADVISED OF THE POSSIBILITY OF SUCH DAMAGE.
 *
 ****************************************************************************/

/**
 * Runs a model that `px4-tinyml generate` has turned into C++ (model/CompiledModel.hpp).
 *
 *	CompiledEngine<model::CompiledModel> engine;
 *	fill engine.input() with kInputSize bytes;	// before every invoke(): it may be overwritten
 *	engine.invoke();
 *	read kOutputSize bytes from engine.output();	// valid until the next write to input()
 */

#pragma once

#include <stddef.h>
#include <stdint.h>

namespace motion
{
namespace engine
{

template <class Model>
class CompiledEngine
{
public:
	static constexpr int kInputSize = Model::kInputSize;
	static constexpr int kOutputSize = Model::kOutputSize;

	int8_t *input() { return _arena + Model::kInputOffset; }

	/** Always true: everything that can be wrong with a model was checked when its code was generated. */
	bool invoke()
	{
		Model::run(_arena);
		return true;
	}

	/** Why the model cannot run: never anything here. */
	const char *problem() const { return nullptr; }

	const int8_t *output() const { return _arena + Model::kOutputOffset; }

	size_t arena_used_bytes() const { return sizeof(_arena); }

private:
	alignas(4) int8_t _arena[Model::kArenaBytes] {};
};

template <class Model> constexpr int CompiledEngine<Model>::kInputSize;
template <class Model> constexpr int CompiledEngine<Model>::kOutputSize;

} // namespace engine
} // namespace motion
