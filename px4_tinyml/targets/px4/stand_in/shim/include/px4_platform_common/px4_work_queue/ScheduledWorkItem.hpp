// SPDX-License-Identifier: BSD-3-Clause
//
// Stand-in for PX4's ScheduledWorkItem: a work item with a timer on the simulated clock.

#pragma once

#include <px4_platform_common/px4_work_queue/WorkItem.hpp>

namespace px4
{

class ScheduledWorkItem : public WorkItem
{
public:
	bool Scheduled() const { return _deadline_us != NEVER; }

	void ScheduleDelayed(uint32_t delay_us) { ScheduleAt(hrt_absolute_time() + delay_us); }
	void ScheduleOnInterval(uint32_t interval_us, uint32_t delay_us = 0);
	void ScheduleAt(hrt_abstime time_us);
	void ScheduleClear();

	/// See px4_host::set_clock().
	static void set_clock(hrt_abstime time_us);

protected:
	ScheduledWorkItem(const char *name, const wq_config_t &config) : WorkItem(name, config) {}
	~ScheduledWorkItem() override;

private:
	static constexpr hrt_abstime NEVER = UINT64_MAX;

	/// Schedule what is due by now.
	static void fire_due();

	hrt_abstime _deadline_us{NEVER};
	hrt_abstime _interval_us{0};
};

} // namespace px4
