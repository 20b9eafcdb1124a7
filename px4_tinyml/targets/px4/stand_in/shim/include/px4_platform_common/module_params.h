// SPDX-License-Identifier: BSD-3-Clause
//
// Stand-in for PX4's ModuleParams: parameters as members, read when updateParams() is called.

#pragma once

#include <stdint.h>

#include <parameters/px4_parameters.hpp>

typedef uint16_t param_t;

extern "C" {
/// value: int32_t or float, as the parameter is.
int param_get(param_t handle, void *value);
int param_set(param_t handle, const void *value);
}

class ModuleParams
{
public:
	explicit ModuleParams(ModuleParams *parent) { (void)parent; } // one module, no children
	ModuleParams(const ModuleParams &) = delete;
	ModuleParams &operator=(const ModuleParams &) = delete;
	virtual ~ModuleParams() = default;

protected:
	virtual void updateParams() { updateParamsImpl(); }
	virtual void updateParamsImpl() {}
};

namespace px4_host
{

template <typename T, px4::params P>
class Param
{
public:
	Param() { update(); }

	T get() const { return _value; }
	bool update() { return param_get(static_cast<param_t>(P), &_value) == 0; }

private:
	T _value{};
};

template <px4::params P> struct Int : Param<int32_t, P> {
	static_assert(!px4::parameter_is_float(P), "a float in module.yaml");
};

template <px4::params P> struct Float : Param<float, P> {
	static_assert(px4::parameter_is_float(P), "no float in module.yaml");
};

template <px4::params P> struct Bool : Param<int32_t, P> {
	static_assert(!px4::parameter_is_float(P), "a float in module.yaml");
	bool get() const { return Param<int32_t, P>::get() != 0; }
};

} // namespace px4_host

template <px4::params P> using ParamInt = px4_host::Int<P>;
template <px4::params P> using ParamFloat = px4_host::Float<P>;
template <px4::params P> using ParamBool = px4_host::Bool<P>;

// DEFINE_PARAMETERS((ParamInt<px4::params::A>) _a, …): up to eight. MEMBER and NAME are followed by what a
// caller wrote, `(type) name`: one keeps the type, the other drops it.
#define PX4_HOST_MEMBER(...) __VA_ARGS__
#define PX4_HOST_NAME(...)
#define PX4_HOST_DECLARE(x) PX4_HOST_MEMBER x;
#define PX4_HOST_UPDATE(x) PX4_HOST_NAME x.update();
#define PX4_HOST_1(f, a) f(a)
#define PX4_HOST_2(f, a, ...) f(a) PX4_HOST_1(f, __VA_ARGS__)
#define PX4_HOST_3(f, a, ...) f(a) PX4_HOST_2(f, __VA_ARGS__)
#define PX4_HOST_4(f, a, ...) f(a) PX4_HOST_3(f, __VA_ARGS__)
#define PX4_HOST_5(f, a, ...) f(a) PX4_HOST_4(f, __VA_ARGS__)
#define PX4_HOST_6(f, a, ...) f(a) PX4_HOST_5(f, __VA_ARGS__)
#define PX4_HOST_7(f, a, ...) f(a) PX4_HOST_6(f, __VA_ARGS__)
#define PX4_HOST_8(f, a, ...) f(a) PX4_HOST_7(f, __VA_ARGS__)
#define PX4_HOST_PICK(a, b, c, d, e, f, g, h, n, ...) PX4_HOST_##n
#define PX4_HOST_PICKED(...) PX4_HOST_PICK(__VA_ARGS__, 8, 7, 6, 5, 4, 3, 2, 1, 0)
#define PX4_HOST_EACH(f, ...) PX4_HOST_PICKED(__VA_ARGS__)(f, __VA_ARGS__)

#define DEFINE_PARAMETERS(...) \
	PX4_HOST_EACH(PX4_HOST_DECLARE, __VA_ARGS__) \
protected: \
	void updateParamsImpl() final { PX4_HOST_EACH(PX4_HOST_UPDATE, __VA_ARGS__) } \
private:
