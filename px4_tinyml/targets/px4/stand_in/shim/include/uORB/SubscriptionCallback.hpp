// SPDX-License-Identifier: BSD-3-Clause
//
// Stand-in for PX4's uORB::SubscriptionCallbackWorkItem: a publication schedules a work item.

#pragma once

#include <px4_platform_common/px4_work_queue/WorkItem.hpp>
#include <uORB/SubscriptionInterval.hpp>

namespace uORB
{

class SubscriptionCallbackWorkItem : public SubscriptionInterval
{
public:
	SubscriptionCallbackWorkItem(px4::WorkItem *work_item, orb_id_t meta)
		: SubscriptionInterval(meta), _work_item(work_item) {}

	~SubscriptionCallbackWorkItem() { unregisterCallback(); }

	/// Creates the topic where it does not exist.
	bool registerCallback()
	{
		add_callback(create_node(_subscription._meta), this);
		return _subscription.subscribe();
	}

	void unregisterCallback()
	{
		if (_subscription.valid()) {
			remove_callback(*_subscription._node, this);
		}
	}

	void call()
	{
		if (updated()) {
			_work_item->ScheduleNow();
		}
	}

private:
	px4::WorkItem *_work_item;
};

} // namespace uORB
