// SPDX-License-Identifier: BSD-3-Clause

#include "Link.hpp"

#include <string.h>

namespace node
{

namespace
{

bool accept_unsigned(const mavlink_status_t *, uint32_t) { return true; }

} // namespace

constexpr size_t Link::KEY_BYTES;

Link::Link(Port &port, uint8_t id, bool local) : _port(port), _local(local)
{
	_signing.link_id = id;
	_signing.flags = MAVLINK_SIGNING_FLAG_SIGN_OUTGOING;
	_signing.accept_unsigned_callback = local ? accept_unsigned : nullptr;
}

bool Link::receive(uint8_t byte)
{
	switch (mavlink_frame_char_buffer(&_received, &_status, byte, nullptr, nullptr)) {
	case MAVLINK_FRAMING_OK:
		++_counters.received;
		return true;

	case MAVLINK_FRAMING_BAD_SIGNATURE:
		++_counters.refused;
		return false;

	case MAVLINK_FRAMING_BAD_CRC:
		if (mavlink_get_msg_entry(_received.msgid) == nullptr) {
			++_counters.unknown;

		} else {
			++_counters.bad_crc;
		}

		return false;

	default:
		return false;
	}
}

bool Link::send(const Identity &from, uint32_t message_id, const void *payload)
{
	const mavlink_msg_entry_t *const entry = mavlink_get_msg_entry(message_id);

	if (entry == nullptr || !_port.connected()) {
		return false;
	}

	mavlink_message_t message;
	message.msgid = message_id & 0xffffffu;
	memcpy(message.payload64, payload, entry->max_msg_len);
	mavlink_finalize_message_buffer(&message, from.system, from.component, &_status, entry->min_msg_len,
					entry->max_msg_len, entry->crc_extra);
	uint8_t frame[MAVLINK_MAX_PACKET_LEN];
	const size_t size = mavlink_msg_to_send_buffer(frame, &message);

	if (_port.room() < size) {
		++_counters.dropped;
		return false;
	}

	_port.write(frame, size);
	++_counters.sent;
	return true;
}

bool Link::print(const char *text, size_t size)
{
	if (!_port.connected() || _port.room() < size) {
		return false;
	}

	_port.write(reinterpret_cast<const uint8_t *>(text), size);
	return true;
}

void Link::set_key(const uint8_t *key, uint64_t timestamp)
{
	if (key == nullptr) {
		memset(_signing.secret_key, 0, sizeof(_signing.secret_key));
		_status.signing = nullptr;
		return;
	}

	memcpy(_signing.secret_key, key, sizeof(_signing.secret_key));
	_streams.num_signing_streams = 0;
	_status.signing = &_signing;
	_status.signing_streams = &_streams;
	advance_signing_time(timestamp);
}

void Link::advance_signing_time(uint64_t timestamp)
{
	if (timestamp > _signing.timestamp) {
		_signing.timestamp = timestamp;
	}
}

} // namespace node
