// SPDX-License-Identifier: BSD-3-Clause
//
// Stand-in for PX4: topics and their nodes. One instance of each topic; one thread.

#pragma once

#include <stdint.h>

struct orb_metadata {
	const char *o_name;
	uint16_t o_size;            ///< of the struct, with the padding at its end
	uint16_t o_size_no_padding; ///< as it is logged
	uint16_t o_id;              ///< index in the generated table of topics
	uint8_t o_queue;            ///< messages kept
};

typedef const struct orb_metadata *orb_id_t;
typedef void *orb_advert_t;

#define ORB_ID(NAME) &__orb_##NAME
#define ORB_DECLARE(NAME) extern "C" const struct orb_metadata __orb_##NAME __EXPORT

extern "C" {
/// data: a first message, or null.
orb_advert_t orb_advertise(orb_id_t meta, const void *data);
int orb_unadvertise(orb_advert_t handle);
int orb_publish(orb_id_t meta, orb_advert_t handle, const void *data);
}

namespace uORB
{

class SubscriptionCallbackWorkItem;

/// Where the last messages of a topic are.
struct Node;

/// The node of a topic; it exists from now on.
Node &create_node(orb_id_t meta);
void add_callback(Node &node, SubscriptionCallbackWorkItem *callback);
void remove_callback(Node &node, SubscriptionCallbackWorkItem *callback);

} // namespace uORB
