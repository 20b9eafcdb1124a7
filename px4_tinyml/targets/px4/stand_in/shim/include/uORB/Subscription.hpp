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
	Subscription(orb_id_t meta, uint8_t instance = 0) : _meta(meta), _instance(instance) { subscribe(); }
	Subscription(const Subscription &) = delete;
	Subscription &operator=(const Subscription &) = delete;

	/// True when the topic exists. What was published just before can still be read.
	bool subscribe()
	{
		if (!_node && _instance == 0 && (_node = find_node(_meta))) {
			_last_generation = initial_generation(*_node);
		}

		return _node != nullptr;
	}

	void unsubscribe()
	{
		_node = nullptr;
		_last_generation = 0;
	}

	bool valid() const { return _node != nullptr; }
	bool advertised() { return subscribe() && is_advertised(*_node); }
	bool updated() { return subscribe() && updates_available(*_node, _last_generation) != 0; }

	/// The next message, when there is one.
	bool update(void *message) { return updated() && copy(message); }

	/// The next message, or the last one once more.
	bool copy(void *message) { return advertised() && copy_message(*_node, message, _last_generation); }

	uint8_t get_instance() const { return _instance; }
	unsigned get_last_generation() const { return _last_generation; }
	orb_id_t get_topic() const { return _meta; }

protected:
	friend class SubscriptionCallback;

	orb_id_t _meta;
	Node *_node{nullptr};
	unsigned _last_generation{0};
	uint8_t _instance;
};

} // namespace uORB
