// SPDX-License-Identifier: BSD-3-Clause
//
// Stand-in for PX4's ModuleBase as it is in v1.15 … v1.17: the module is its template argument.

#pragma once

#include <string.h>

#include <px4_platform_common/log.h>
#include <px4_platform_common/module_usage.h>
#include <px4_platform_common/posix.h>

template <class T>
class ModuleBase
{
public:
	ModuleBase() = default;
	virtual ~ModuleBase() = default;

	static int main(int argc, char *argv[])
	{
		if (argc <= 1 || strcmp(argv[1], "help") == 0 || strcmp(argv[1], "-h") == 0) {
			return T::print_usage();
		}

		if (strcmp(argv[1], "start") == 0) {
			return start(argc - 1, argv + 1);
		}

		if (strcmp(argv[1], "status") == 0) {
			return status();
		}

		if (strcmp(argv[1], "stop") == 0) {
			return stop();
		}

		return T::custom_command(argc - 1, argv + 1);
	}

	virtual int print_status()
	{
		PX4_INFO("running");
		return 0;
	}

	static bool is_running() { return _task_id != -1; }

protected:
	/// As px4::atomic, of which only these two are used here.
	struct Pointer {
		T *value;
		T *load() const { return value; }
		void store(T *object) { value = object; }
	};

	virtual void request_stop() { _task_should_exit = true; }
	bool should_exit() const { return _task_should_exit; }

	/// Called by the module in its own thread, as its last act: deletes the object.
	static void exit_and_cleanup()
	{
		delete _object.load();
		_object.store(nullptr);
		_task_id = -1;
	}

	static T *get_instance() { return _object.load(); }

	static Pointer _object;
	static int _task_id;
	static constexpr const int task_id_is_work_queue = -2;

private:
	static int start(int argc, char *argv[])
	{
		if (is_running()) {
			PX4_ERR("Task already running");
			return -1;
		}

		const int result = T::task_spawn(argc, argv);

		if (result < 0) {
			PX4_ERR("Task start failed (%i)", result);
		}

		return result;
	}

	static int status()
	{
		if (is_running() && _object.load()) {
			return _object.load()->print_status();
		}

		PX4_INFO("not running");
		return -1;
	}

	static int stop()
	{
		if (!is_running()) {
			return 0;
		}

		if (!_object.load()) {
			_task_id = -1;
			return 0;
		}

		static_cast<ModuleBase *>(_object.load())->request_stop();

		for (int i = 0; i < 500; ++i) { // at most five seconds
			px4_usleep(10000);

			if (_task_id == -1) {
				return 0;
			}
		}

		PX4_ERR("timeout, forcing stop");
		exit_and_cleanup();
		return -1;
	}

	bool _task_should_exit{false};
};

template <class T> typename ModuleBase<T>::Pointer ModuleBase<T>::_object{nullptr};
template <class T> int ModuleBase<T>::_task_id = -1;
template <class T> constexpr const int ModuleBase<T>::task_id_is_work_queue;
