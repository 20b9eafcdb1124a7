// SPDX-License-Identifier: BSD-3-Clause
//
// Stand-in for PX4's uORB::Publication.

#pragma once

#include <uORB/uORB.h>
#include <px4_platform_common/defines.h>

namespace uORB
{

template <typename T>
class Publication
{
public:
	Publication(orb_id_t meta) : _meta(meta) {}
	Publication(const Publication &) = delete;
	Publication &operator=(const Publication &) = delete;

	~Publication()
	{
		// PX4 leaves topics with a queue advertised: their last messages may still be waited for.
		if (_handle && _meta->o_queue == 1) {
			unadvertise();
		}
	}

	bool advertise()
	{
		if (!_handle) {
			_handle = orb_advertise(_meta, nullptr);
		}

		return _handle != nullptr;
	}

	// As in PX4 the handle stays: a publication after this has no effect.
	bool unadvertise() { return orb_unadvertise(_handle) == PX4_OK; }

	bool publish(const T &message)
	{
		advertise();
		return orb_publish(_meta, _handle, &message) == PX4_OK;
	}

private:
	orb_id_t _meta;
	orb_advert_t _handle{nullptr};
};

} // namespace uORB
