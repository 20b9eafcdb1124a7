// SPDX-License-Identifier: BSD-3-Clause
//
// Stand-in for PX4's uORB::Subscription: generations and queues behave as there.

#pragma once

#include <uORB/uORB.h>
#include <px4_platform_common/defines.h>

namespace uORB
{

class Subscription
{
public:
	Subscription(orb_id_t meta) : _meta(meta) { subscribe(); }
	Subscription(const Subscription &) = delete;
	Subscription &operator=(const Subscription &) = delete;

	/// True when the topic exists: advertised, or with a callback. What was published just before can still be read.
	bool subscribe();

	bool valid() const { return _node != nullptr; }
	bool advertised();
	bool updated();

	/// The next message, when there is one.
	bool update(void *message) { return updated() && copy(message); }

	/// The next message, the oldest kept one where that is gone, or the last one once more where none is new.
	bool copy(void *message);

	unsigned get_last_generation() const { return _last_generation; }

protected:
	friend class SubscriptionCallbackWorkItem;

	orb_id_t _meta;
	Node *_node{nullptr};
	unsigned _last_generation{0};
};

} // namespace uORB
