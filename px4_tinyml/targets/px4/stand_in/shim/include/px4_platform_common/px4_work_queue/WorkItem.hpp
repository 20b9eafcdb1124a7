// SPDX-License-Identifier: BSD-3-Clause
//
// Stand-in for PX4's work queues: one queue, run by the harness when it chooses to (Host.hpp).

#pragma once

#include <stdint.h>

#include <drivers/drv_hrt.h>
#include <px4_platform_common/defines.h>

namespace px4
{

struct wq_config_t {
	const char *name;
	uint16_t stacksize;
	int8_t relative_priority;
};

namespace wq_configurations
{
static constexpr wq_config_t lp_default{"wq:lp_default", 3500, -50};
} // namespace wq_configurations

class WorkItem
{
public:
	WorkItem(const WorkItem &) = delete;
	WorkItem &operator=(const WorkItem &) = delete;

	/// Queue this item; once is enough.
	void ScheduleNow();

	/// Run what is queued until nothing is.
	static void run_queued();

protected:
	WorkItem(const char *, const wq_config_t &) {}
	virtual ~WorkItem();

	void ScheduleClear();

	virtual void Run() = 0;
};

} // namespace px4
