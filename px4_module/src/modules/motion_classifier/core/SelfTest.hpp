/****************************************************************************
 *
 *   Copyright (c) 2026 px4-tinyml contributors. All rights reserved.
 *
 * Redistribution and use in source and binary forms, with or without
 * modification, are permitted provided that the following conditions
 * are met:
 *
 * 1. Redistributions of source code must retain the above copyright
 *    notice, this list of conditions and the following disclaimer.
 * 2. Redistributions in binary form must reproduce the above copyright
 *    notice, this list of conditions and the following disclaimer in
 *    the documentation and/or other materials provided with the
 *    distribution.
 * 3. Neither the name px4-tinyml nor the names of its contributors may be
 *    used to endorse or promote products derived from this software
 *    without specific prior written permission.
 *
 * THIS SOFTWARE IS PROVIDED BY THE COPYRIGHT HOLDERS AND CONTRIBUTORS
 * "AS IS" AND ANY EXPRESS OR IMPLIED WARRANTIES, INCLUDING, BUT NOT
 * LIMITED TO, THE IMPLIED WARRANTIES OF MERCHANTABILITY AND FITNESS
 * FOR A PARTICULAR PURPOSE ARE DISCLAIMED. IN NO EVENT SHALL THE
 * COPYRIGHT OWNER OR CONTRIBUTORS BE LIABLE FOR ANY DIRECT, INDIRECT,
 * INCIDENTAL, SPECIAL, EXEMPLARY, OR CONSEQUENTIAL DAMAGES (INCLUDING,
 * BUT NOT LIMITED TO, PROCUREMENT OF SUBSTITUTE GOODS OR SERVICES; LOSS
 * OF USE, DATA, OR PROFITS; OR BUSINESS INTERRUPTION) HOWEVER CAUSED
 * AND ON ANY THEORY OF LIABILITY, WHETHER IN CONTRACT, STRICT
 * LIABILITY, OR TORT (INCLUDING NEGLIGENCE OR OTHERWISE) ARISING IN
 * ANY WAY OUT OF THE USE OF THIS SOFTWARE, EVEN IF ADVISED OF THE
 * POSSIBILITY OF SUCH DAMAGE.
 *
 ****************************************************************************/

/**
 * @file SelfTest.hpp
 *
 * Proof on the target that it computes what the reference did: the model on golden int8 vectors and on mixtures of them
 * that leave it unsure, and the whole signal path on a feed that is made of the same vectors, with a hole, a sample
 * that is not finite, a clock that jumps back and a silent barometer in it. The expected results were computed when the
 * code was generated (px4_tinyml/targets/px4/golden_vectors.py makes the same inputs).
 */

#pragma once

#include <math.h>
#include <string.h>

#include "Mixture.hpp"
#include "Pipeline.hpp"
#include "SameSpec.hpp"

namespace motion
{

/// The first difference, or all null.
struct SelfTestResult {
	const char *problem; ///< why the engine cannot run the model
	const char *what;    ///< "vector", "mixture" or "decision"
	uint32_t number;     ///< which one
	const char *field;
	int64_t found;
	int64_t expected;
};

/// Golden: GoldenVectors of model/ (generated). Big, for it holds an engine and a pipeline.
template <class Spec, class Engine, class Golden>
class SelfTest
{
public:
	static constexpr int VECTORS = Golden::kVectors + Golden::kMixtures;
	static constexpr int DECISIONS = Golden::kDecisions;

	SelfTestResult run()
	{
		if (_engine.problem()) {
			_result.problem = _engine.problem();
			return _result;
		}

		check_model();

		if (!_result.what) {
			check_signal_path();
		}

		return _result;
	}

private:
	static_assert(same_text(Golden::kSpecHash, Spec::hash()), "model/ holds parts of different trainings");

	static constexpr uint32_t SLOTS_PER_VECTOR = Spec::window + 2 * Spec::hop;

	/// What is wrong with the feed of a vector, by its number modulo 4. When time runs backwards, the barometer is silent.
	enum Fault : uint32_t { NONE, HOLE, NON_FINITE, BACKWARDS };

	void check_model()
	{
		for (uint32_t i = 0; i < Golden::kVectors && !_result.what; ++i) {
			memcpy(_engine.input(), Golden::input(i), Spec::input_size);
			check_output("vector", i, Golden::output(i));
		}

		for (uint32_t i = 0; i < Golden::kMixtures && !_result.what; ++i) {
			const Mixture &mixture = Golden::mixture(i);
			mixture.write(Golden::input(mixture.first), Golden::input(mixture.second), _engine.input(), Spec::input_size);
			check_output("mixture", i, Golden::mixture_output(i));
		}
	}

	void check_output(const char *what, uint32_t number, const int8_t *expected)
	{
		if (!_engine.invoke()) {
			differs(what, number, "inference", 0, 1);
			return;
		}

		for (uint32_t i = 0; i < Spec::labels && !_result.what; ++i) {
			same(what, number, Spec::label(i), _engine.output()[i], expected[i]);
		}
	}

	void check_signal_path()
	{
		uint64_t slot = Golden::kFirstSlot;

		for (uint32_t vector = 0; vector < Golden::kVectors && !_result.what; ++vector) {
			const uint32_t fault = vector % 4;

			if (fault == NON_FINITE) {
				push_imu(SlotTime<Spec>::start_us(slot), Golden::input(vector), NAN);

			} else if (fault == BACKWARDS) {
				slot -= Spec::hop;
			}

			for (uint32_t i = 0; i < SLOTS_PER_VECTOR; ++i, ++slot) {
				if (fault == HOLE && (i == Spec::window / 2 || i == Spec::window / 2 + 1)) {
					continue;
				}

				// The last row goes first: the slot after a reset is incomplete and skipped.
				const uint32_t row = (i + Spec::window - 1) % Spec::window;
				push_slot(slot, Golden::input(vector) + row * Spec::channels, fault != BACKWARDS);
			}
		}

		if (!_result.what) {
			same("decision", _decisions, "number of decisions", _decisions, Golden::kDecisions);
		}
	}

	/// A row of a vector becomes two samples, on either side of it, and an altitude.
	void push_slot(uint64_t slot, const int8_t *row, bool baro)
	{
		const uint64_t start_us = SlotTime<Spec>::start_us(slot);
		const uint64_t quarter_us = 250000 / Spec::rate_hz;

		if (Spec::uses_altitude && baro) {
			const uint32_t altitude = Spec::channels - 1;
			_pipeline.push_baro(start_us, static_cast<float>(row[altitude]) * Golden::step()[altitude]);
		}

		push_imu(start_us + quarter_us, row, 1.0f);
		push_imu(start_us + 3 * quarter_us, row, -1.0f);
	}

	void push_imu(uint64_t time_us, const int8_t *row, float aside)
	{
		float sample[IMU_AXES] {};

		// Powers of two times whole numbers: exact on every processor.
		for (uint32_t channel = 0; channel != Spec::imu_channels; ++channel) {
			sample[Spec::imu_axis()[channel]] = (static_cast<float>(row[channel]) + aside) * Golden::step()[channel];
		}

		_pipeline.push_imu(time_us, sample, sample + 3, [this](const Decision & decision) { check(decision); });
	}

	void check(const Decision &found)
	{
		const uint32_t number = _decisions++;

		if (_result.what || !same("decision", number, "more than expected", number >= Golden::kDecisions, 0)) {
			return;
		}

		const Decision &expected = Golden::decisions()[number];
		const auto is_same = [&](const char *field, uint64_t a, uint64_t b) {
			return same("decision", number, field, static_cast<int64_t>(a), static_cast<int64_t>(b));
		};

		bool all = is_same("start_us", found.start_us, expected.start_us)
			   && is_same("end_us", found.end_us, expected.end_us)
			   && same("decision", number, "class", found.class_index, expected.class_index)
			   && is_same("confidence", found.confidence_q16, expected.confidence_q16)
			   && is_same("flags", found.flags, expected.flags);

		for (uint32_t i = 0; all && i < Spec::labels; ++i) {
			all = is_same(Spec::label(i), found.probability[i], expected.probability[i]);
		}
	}

	bool same(const char *what, uint32_t number, const char *field, int64_t found, int64_t expected)
	{
		if (found != expected) {
			differs(what, number, field, found, expected);
		}

		return found == expected;
	}

	void differs(const char *what, uint32_t number, const char *field, int64_t found, int64_t expected)
	{
		_result = {nullptr, what, number, field, found, expected};
	}

	Engine _engine;
	Pipeline<Spec, Engine> _pipeline{_engine};
	SelfTestResult _result{};
	uint32_t _decisions{0};
};

template <class Spec, class Engine, class Golden> constexpr int SelfTest<Spec, Engine, Golden>::VECTORS;
template <class Spec, class Engine, class Golden> constexpr int SelfTest<Spec, Engine, Golden>::DECISIONS;

} // namespace motion
