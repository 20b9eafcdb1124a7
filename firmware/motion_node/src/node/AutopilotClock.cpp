// SPDX-License-Identifier: BSD-3-Clause

#include "AutopilotClock.hpp"

namespace node
{

namespace
{

constexpr int64_t NS_PER_US = 1000;

int64_t distance(int64_t a, int64_t b) { return a < b ? b - a : a - b; }

} // namespace

bool AutopilotClock::contradict(const Sample &older, const Sample &newer)
{
	const int64_t drift_us = static_cast<int64_t>(newer.at_ms - older.at_ms) * MOST_DRIFT;
	return distance(older.offset_us, newer.offset_us) > SLACK_US + older.error_us + newer.error_us + drift_us;
}

bool AutopilotClock::request_due(uint64_t now_us) const
{
	const bool settled = _count == SAMPLES && !_in_doubt;
	return !_asked || now_us - _request_us >= (settled ? INTERVAL_US : FIRST_INTERVAL_US);
}

int64_t AutopilotClock::request(uint64_t now_us)
{
	_request_us = now_us;
	_requested_ns = static_cast<int64_t>(now_us) * NS_PER_US;
	_asked = true;
	_awaiting = true;
	return _requested_ns;
}

bool AutopilotClock::answer(uint64_t now_us, int64_t tc1_ns, int64_t ts1_ns)
{
	// Answers to requests of other components are received, too.
	if (!_awaiting || ts1_ns != _requested_ns || tc1_ns <= 0) {
		return false;
	}

	_awaiting = false;
	const int64_t sent_us = ts1_ns / NS_PER_US;
	const int64_t trip_us = static_cast<int64_t>(now_us) - sent_us;

	if (trip_us < 0 || trip_us > LONGEST_TRIP_US) {
		return false;
	}

	const uint32_t now_ms = static_cast<uint32_t>(now_us / 1000);
	const Sample sample{tc1_ns / NS_PER_US - (sent_us + trip_us / 2), static_cast<uint32_t>(trip_us / 2), now_ms};

	if (_count && contradict(_samples[_best], sample)) {
		const bool again = _in_doubt && !contradict(_doubtful, sample);
		_doubtful = sample;
		_in_doubt = !again;

		if (!again) {
			return false;
		}

		_count = 0;
		++_jumps;
	}

	_in_doubt = false;

	if (_count == 0) {
		_next = 0;
	}

	_samples[_next] = sample;
	_next = (_next + 1) % SAMPLES;
	_count = _count < SAMPLES ? _count + 1 : SAMPLES;
	_best = 0;

	for (uint32_t i = 1; i < _count; ++i) {
		if (_samples[i].aged_error_us(now_ms) < _samples[_best].aged_error_us(now_ms)) {
			_best = i;
		}
	}

	_source = Source::Timesync;
	return true;
}

void AutopilotClock::system_time(uint64_t now_us, uint32_t time_boot_ms)
{
	if (_source == Source::Timesync) {
		return;
	}

	// The message was under way for a while: the largest difference is nearest to the truth.
	const int64_t offset_us = static_cast<int64_t>(time_boot_ms) * NS_PER_US - static_cast<int64_t>(now_us);
	const bool jumped = _source == Source::SystemTime && distance(offset_us, _coarse_us) > COARSE_JUMP_US;
	_jumps += jumped ? 1 : 0;

	if (_source == Source::None || jumped || offset_us > _coarse_us) {
		_coarse_us = offset_us;
	}

	_source = Source::SystemTime;
}

uint64_t AutopilotClock::to_autopilot(uint64_t local_us) const
{
	if (_source == Source::None) {
		return local_us;
	}

	const int64_t offset_us = _source == Source::Timesync ? _samples[_best].offset_us : _coarse_us;
	const int64_t time_us = static_cast<int64_t>(local_us) + offset_us;
	return time_us > 0 ? static_cast<uint64_t>(time_us) : 0; // a window may have begun before the autopilot did
}

} // namespace node
