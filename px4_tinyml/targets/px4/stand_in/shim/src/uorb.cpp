// SPDX-License-Identifier: BSD-3-Clause
//
// Topics: a ring of messages each, and a count of all that were ever published (the generation).

#include "Host.hpp"

#include <string.h>

#include <algorithm>
#include <vector>

#include <px4_platform_common/defines.h>
#include <uORB/SubscriptionCallback.hpp>
#include <uORB/uORB.h>

namespace uORB
{

struct Node {
	orb_id_t meta{nullptr};
	bool exists{false};
	bool advertised{false};
	unsigned generation{0}; ///< counts the messages ever published
	std::vector<uint8_t> messages{};
	std::vector<SubscriptionCallbackWorkItem *> callbacks{};
};

static Node &node_of(orb_id_t meta)
{
	px4_host::Pause own;
	static std::vector<Node> nodes(px4_host::topic_count);
	return nodes[meta->o_id];
}

Node &create_node(orb_id_t meta)
{
	Node &node = node_of(meta);
	node.meta = meta;
	node.exists = true;
	return node;
}

bool Subscription::subscribe()
{
	if (!_node && node_of(_meta).exists) {
		_node = &node_of(_meta);
		_last_generation = _node->generation - (_node->messages.empty() ? 0 : 1);
	}

	return _node != nullptr;
}

bool Subscription::advertised() { return subscribe() && _node->advertised; }

bool Subscription::updated() { return advertised() && _node->generation != _last_generation; }

bool Subscription::copy(void *message)
{
	if (!advertised() || _node->messages.empty()) {
		return false;
	}

	const unsigned queue = _meta->o_queue;
	const unsigned behind = _node->generation - _last_generation; // right also where the counts wrapped

	if (behind == 0) {
		_last_generation = _node->generation - 1; // the last one once more

	} else if (behind > queue) {
		_last_generation = _node->generation - queue; // what is older was overwritten
	}

	memcpy(message, &_node->messages[_meta->o_size * (_last_generation % queue)], _meta->o_size);
	++_last_generation;
	return true;
}

void add_callback(Node &node, SubscriptionCallbackWorkItem *callback)
{
	px4_host::Pause own;
	remove_callback(node, callback);
	node.callbacks.push_back(callback);
}

void remove_callback(Node &node, SubscriptionCallbackWorkItem *callback)
{
	px4_host::Pause own;
	node.callbacks.erase(std::remove(node.callbacks.begin(), node.callbacks.end(), callback), node.callbacks.end());
}

} // namespace uORB

orb_advert_t orb_advertise(orb_id_t meta, const void *data)
{
	uORB::Node &node = uORB::create_node(meta);
	node.advertised = true;

	if (data) {
		orb_publish(meta, &node, data);
	}

	return &node;
}

int orb_unadvertise(orb_advert_t handle)
{
	if (!handle) {
		return PX4_ERROR;
	}

	static_cast<uORB::Node *>(handle)->advertised = false;
	return PX4_OK;
}

int orb_publish(orb_id_t meta, orb_advert_t handle, const void *data)
{
	uORB::Node *const node = static_cast<uORB::Node *>(handle);

	if (!node || node->meta != meta || !data) {
		return PX4_ERROR;
	}

	if (node->messages.empty()) {
		px4_host::Pause own;
		node->messages.resize(static_cast<size_t>(meta->o_size) * meta->o_queue);
	}

	memcpy(&node->messages[meta->o_size * (node->generation % meta->o_queue)], data, meta->o_size);
	++node->generation;
	px4_host::published(meta, data);

	for (uORB::SubscriptionCallbackWorkItem *callback : node->callbacks) {
		callback->call();
	}

	return PX4_OK;
}
