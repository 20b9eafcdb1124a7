// SPDX-License-Identifier: BSD-3-Clause
//
// What time it is on the autopilot (µs since its boot), from TIMESYNC, or roughly from SYSTEM_TIME.
//
// A TIMESYNC answer gives the difference of the clocks to within half its round trip. Of the last eight the one with
// the shortest trip counts, unless clocks may have drifted further apart since then. An answer that cannot be true
// beside it, twice in a row, means that the other clock was reset: the autopilot restarted.

#pragma once

#include <stddef.h>
#include <stdint.h>

namespace node
{

class AutopilotClock
{
public:
	enum class Source : uint8_t { None, SystemTime, Timesync };

	/// When to ask next: quickly at first.
	bool request_due(uint64_t now_us) const;

	/// ts1 of a request sent now, ns.
	int64_t request(uint64_t now_us);

	/// A TIMESYNC answer. True when it answers the last request and is accepted.
	bool answer(uint64_t now_us, int64_t tc1_ns, int64_t ts1_ns);

	/// time_boot_ms of a SYSTEM_TIME. Used while no TIMESYNC is answered: late by the time it was under way.
	void system_time(uint64_t now_us, uint32_t time_boot_ms);

	/// The autopilot's time for one of ours; ours unchanged while nothing is known. Stays with the last known
	/// difference when the autopilot falls silent.
	uint64_t to_autopilot(uint64_t local_us) const;

	Source source() const { return _source; }

	/// Number of resets of the other clock.
	uint32_t jumps() const { return _jumps; }

	/// Half the round trip of the answer that counts, µs.
	uint32_t uncertainty_us() const { return _count ? _samples[_best].error_us : 0; }

private:
	struct Sample {
		int64_t offset_us;
		uint32_t error_us;
		uint32_t at_ms;

		/// How wrong it may be by now.
		uint32_t aged_error_us(uint32_t now_ms) const { return error_us + (now_ms - at_ms) * USUAL_DRIFT; }
	};

	static constexpr uint32_t SAMPLES = 8;
	static constexpr uint64_t INTERVAL_US = 1000000;
	static constexpr uint64_t FIRST_INTERVAL_US = 250000;
	static constexpr int64_t LONGEST_TRIP_US = 500000;
	/// Rounding, and what interrupts take.
	static constexpr int64_t SLACK_US = 2000;
	/// Our clock may be a ceramic resonator's or an RC oscillator's: off by so many µs a ms, and at the very most.
	static constexpr uint32_t USUAL_DRIFT = 8;
	static constexpr uint32_t MOST_DRIFT = 32;
	/// A SYSTEM_TIME that differs this much from the expected one means a restart, too.
	static constexpr int64_t COARSE_JUMP_US = 1000000;

	static bool contradict(const Sample &older, const Sample &newer);

	Sample _samples[SAMPLES] {};
	Sample _doubtful{};
	int64_t _coarse_us{0};
	int64_t _requested_ns{0};
	uint64_t _request_us{0};
	uint32_t _count{0}; ///< of _samples, at most SAMPLES
	uint32_t _next{0};
	uint32_t _best{0};
	uint32_t _jumps{0};
	Source _source{Source::None};
	bool _awaiting{false};
	bool _asked{false};
	bool _in_doubt{false};
};

} // namespace node
