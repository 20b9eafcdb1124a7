// SPDX-License-Identifier: BSD-3-Clause
//
// MAVLink 2 over one port: frames in, frames out, signatures, and what was lost.

#pragma once

#include "Mavlink.hpp"
#include "Port.hpp"

namespace node
{

struct Identity {
	uint8_t system;
	uint8_t component;
};

/// Since the start; the counts wrap.
struct LinkCounters {
	uint32_t received; ///< frames that were accepted
	uint32_t bad_crc;
	uint32_t unknown;  ///< frames of messages without a definition here: their CRC cannot be checked
	uint32_t refused;  ///< no signature, a wrong one, or one that was used before
	uint32_t sent;
	uint32_t dropped;  ///< frames the port had no room for
};

class Link
{
public:
	static constexpr size_t KEY_BYTES = 32;

	/// local: only a person at the board can use it (USB). Such a link is accepted without signatures.
	Link(Port &port, uint8_t id, bool local);
	Link(const Link &) = delete;
	Link &operator=(const Link &) = delete;

	/// Take a byte; true when it completed a frame that is accepted: message().
	bool receive(uint8_t byte);

	const mavlink_message_t &message() const { return _received; }

	/// No part of a frame has been received.
	bool between_frames() const { return _status.parse_state <= MAVLINK_PARSE_STATE_IDLE; }

	/// Send a message's packed payload (mavlink_…_t), or drop it whole. A dropped one leaves a hole in the sequence
	/// numbers, so that the other side can count it too.
	bool send(const Identity &from, uint32_t message_id, const void *payload);

	/// Whether a message of any size would be sent now.
	bool ready() { return _port.connected() && _port.room() >= MAVLINK_MAX_PACKET_LEN; }

	bool connected() { return _port.connected(); }

	/// Raw bytes beside MAVLink (captures as text); only as a whole.
	bool print(const char *text, size_t size);

	/// Sign, and accept only signed frames. nullptr: neither. timestamp: 10 µs since 2015.
	void set_key(const uint8_t *key, uint64_t timestamp);

	/// The newest time that was signed or accepted; moves forward only.
	uint64_t signing_time() const { return _signing.timestamp; }
	void advance_signing_time(uint64_t timestamp);

	bool local() const { return _local; }

	const LinkCounters &counters() const { return _counters; }

private:
	Port &_port;
	const bool _local;
	mavlink_message_t _received{};
	mavlink_status_t _status{};
	mavlink_signing_t _signing{};
	mavlink_signing_streams_t _streams{};
	LinkCounters _counters{};
};

} // namespace node
