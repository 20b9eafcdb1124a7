// SPDX-License-Identifier: BSD-3-Clause
//
// Stand-in for PX4's uORB::SubscriptionCallbackWorkItem: a publication schedules a work item.

#pragma once

#include <px4_platform_common/px4_work_queue/WorkItem.hpp>
#include <uORB/SubscriptionInterval.hpp>

namespace uORB
{

class SubscriptionCallback : public SubscriptionInterval
{
public:
	SubscriptionCallback(orb_id_t meta, uint32_t interval_us = 0, uint8_t instance = 0)
		: SubscriptionInterval(meta, interval_us, instance) {}

	virtual ~SubscriptionCallback() { unregisterCallback(); }

	/// Creates the topic where it does not exist.
	bool registerCallback()
	{
		create_node(_subscription._meta);
		_registered = _subscription.subscribe();

		if (_registered) {
			add_callback(*_subscription._node, this);
		}

		return _registered;
	}

	void unregisterCallback()
	{
		if (_subscription.valid()) {
			remove_callback(*_subscription._node, this);
		}

		_registered = false;
	}

	bool registered() const { return _registered; }

	virtual void call() = 0;

private:
	bool _registered{false};
};

class SubscriptionCallbackWorkItem : public SubscriptionCallback
{
public:
	SubscriptionCallbackWorkItem(px4::WorkItem *work_item, orb_id_t meta, uint8_t instance = 0)
		: SubscriptionCallback(meta, 0, instance), _work_item(work_item) {}

	void call() override
	{
		if (updated()) {
			_work_item->ScheduleNow();
		}
	}

private:
	px4::WorkItem *_work_item;
};

} // namespace uORB
