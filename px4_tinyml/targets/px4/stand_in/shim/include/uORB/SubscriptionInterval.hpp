// SPDX-License-Identifier: BSD-3-Clause
//
// Stand-in for PX4's uORB::SubscriptionInterval: not more often than every interval.

#pragma once

#include <drivers/drv_hrt.h>
#include <uORB/Subscription.hpp>

namespace uORB
{

class SubscriptionInterval
{
public:
	SubscriptionInterval(orb_id_t meta, uint32_t interval_us = 0) : _subscription(meta), _interval_us(interval_us) {}

	bool valid() const { return _subscription.valid(); }
	bool advertised() { return _subscription.advertised(); }

	bool updated()
	{
		return advertised() && hrt_elapsed_time(&_last_update) >= _interval_us && _subscription.updated();
	}

	bool update(void *message) { return updated() && copy(message); }

	bool copy(void *message)
	{
		if (!_subscription.copy(message)) {
			return false;
		}

		// The time of the last update moves on by whole intervals, but stays within one of now.
		const hrt_abstime now = hrt_absolute_time();
		const hrt_abstime earliest = now > _interval_us ? now - _interval_us : now;
		_last_update += _interval_us;
		_last_update = _last_update < earliest ? earliest : (_last_update > now ? now : _last_update);
		return true;
	}

	unsigned get_last_generation() const { return _subscription.get_last_generation(); }

protected:
	Subscription _subscription;
	hrt_abstime _last_update{0};
	uint32_t _interval_us;
};

} // namespace uORB
