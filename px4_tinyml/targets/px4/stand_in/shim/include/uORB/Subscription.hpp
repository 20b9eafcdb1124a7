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

	/// True when the topic exists. What was published just before can still be read.
	bool subscribe()
	{
		if (!_node && (_node = find_node(_meta))) {
			_last_generation = initial_generation(*_node);
		}

		return _node != nullptr;
	}

	bool valid() const { return _node != nullptr; }
	bool advertised() { return subscribe() && is_advertised(*_node); }
	bool updated() { return subscribe() && updates_available(*_node, _last_generation) != 0; }

	/// The next message, when there is one.
	bool update(void *message) { return updated() && copy(message); }

	/// The next message, or the last one once more.
	bool copy(void *message) { return advertised() && copy_message(*_node, message, _last_generation); }

	unsigned get_last_generation() const { return _last_generation; }

protected:
	friend class SubscriptionCallbackWorkItem;

	orb_id_t _meta;
	Node *_node{nullptr};
	unsigned _last_generation{0};
};

} // namespace uORB
