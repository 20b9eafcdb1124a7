// SPDX-License-Identifier: BSD-3-Clause
//
// Stand-in for PX4's ModuleBase as it is in v1.15 … v1.17: the module is its template argument.

#pragma once

#include "Module.hpp"

template <class T>
class ModuleBase : public px4_host::Module
{
public:
	static int main(int argc, char *argv[]) { return Module::main(_desc, argc, argv); }

protected:
	static void exit_and_cleanup() { Module::exit_and_cleanup(_desc); }

private:
	static Descriptor _desc;

protected:
	static Descriptor::Pointer &_object;
	static int &_task_id;
};

template <class T> px4_host::Module::Descriptor ModuleBase<T>::_desc{T::task_spawn, T::custom_command, T::print_usage};
template <class T> px4_host::Module::Descriptor::Pointer &ModuleBase<T>::_object = ModuleBase<T>::_desc.object;
template <class T> int &ModuleBase<T>::_task_id = ModuleBase<T>::_desc.task_id;
