// SPDX-License-Identifier: BSD-3-Clause
//
// The simulated clock, the timers on it, and the work queue.

#include "Host.hpp"

#include <algorithm>
#include <vector>

#include <px4_platform_common/posix.h>
#include <px4_platform_common/px4_work_queue/ScheduledWorkItem.hpp>

namespace
{

/// Further than this is a jump: timers are then due once, and not at every interval on the way.
constexpr uint64_t JUMP_US = 60 * 1000000ULL;

uint64_t clock_us;
bool queue_is_held;

std::vector<px4::WorkItem *> queue;
std::vector<px4::ScheduledWorkItem *> timers;

template <class Container, class Item>
void forget(Container &items, Item item)
{
	items.erase(std::remove(items.begin(), items.end(), item), items.end());
}

} // namespace

namespace px4
{

constexpr hrt_abstime ScheduledWorkItem::NEVER;

WorkItem::~WorkItem() { ScheduleClear(); }

void WorkItem::ScheduleNow()
{
	px4_host::Pause own;

	if (std::find(queue.begin(), queue.end(), this) == queue.end()) {
		queue.push_back(this);
	}
}

void WorkItem::ScheduleClear()
{
	px4_host::Pause own;
	forget(queue, this);
}

void WorkItem::run_queued()
{
	while (!queue.empty()) {
		WorkItem *const item = queue.front();
		queue.erase(queue.begin());
		const uint64_t before = px4_host::allocations();
		item->Run(); // it may be gone after this
		px4_host::work_done(px4_host::allocations() - before);
	}
}

ScheduledWorkItem::~ScheduledWorkItem() { ScheduleClear(); }

void ScheduledWorkItem::ScheduleAt(hrt_abstime time_us)
{
	px4_host::Pause own;
	forget(timers, this);
	timers.push_back(this);
	_deadline_us = time_us;
	_interval_us = 0;
}

void ScheduledWorkItem::ScheduleOnInterval(uint32_t interval_us, uint32_t delay_us)
{
	ScheduleAt(hrt_absolute_time() + delay_us);
	_interval_us = interval_us;
}

void ScheduledWorkItem::ScheduleClear()
{
	px4_host::Pause own;
	forget(timers, this);
	_deadline_us = NEVER;
	_interval_us = 0;
	WorkItem::ScheduleClear();
}

void ScheduledWorkItem::set_clock(hrt_abstime time_us)
{
	if (time_us < clock_us) {
		// Only the simulated clock runs backwards: pending timers keep their remaining time.
		for (ScheduledWorkItem *item : timers) {
			item->_deadline_us -= std::min(clock_us - time_us, item->_deadline_us);
		}

		clock_us = time_us;

	} else if (time_us > clock_us + JUMP_US) {
		clock_us = time_us;
	}

	const auto earlier = [](const ScheduledWorkItem * a, const ScheduledWorkItem * b) {
		return a->_deadline_us < b->_deadline_us;
	};

	while (!timers.empty()) {
		const hrt_abstime next = (*std::min_element(timers.begin(), timers.end(), earlier))->_deadline_us;

		if (next > time_us || next == NEVER) {
			break;
		}

		clock_us = std::max(clock_us, next);
		fire_due();
		px4_host::run_queue();
	}

	clock_us = time_us;
}

void ScheduledWorkItem::fire_due()
{
	px4_host::Pause own;
	const std::vector<ScheduledWorkItem *> all = timers;

	for (ScheduledWorkItem *item : all) {
		if (item->_deadline_us > clock_us) {
			continue;
		}

		if (item->_interval_us > 0) {
			// Missed intervals are skipped. At the end of 64 bits there is no next time.
			const hrt_abstime next = std::max(item->_deadline_us + item->_interval_us, clock_us + 1);
			item->_deadline_us = next > clock_us ? next : NEVER;

		} else {
			forget(timers, item);
			item->_deadline_us = NEVER;
		}

		item->ScheduleNow();
	}
}

} // namespace px4

namespace px4_host
{

uint64_t now_us() { return clock_us; }

void set_clock(uint64_t time_us) { px4::ScheduledWorkItem::set_clock(time_us); }

void spend(uint32_t duration_us) { clock_us += duration_us; }

void hold_queue(bool held) { queue_is_held = held; }

void run_queue()
{
	if (!queue_is_held) {
		px4::WorkItem::run_queued();
	}
}

} // namespace px4_host

hrt_abstime hrt_absolute_time() { return clock_us; }

int px4_usleep(useconds_t duration_us)
{
	// Other threads run meanwhile.
	px4_host::set_clock(clock_us + duration_us);
	px4_host::run_queue();
	return 0;
}
