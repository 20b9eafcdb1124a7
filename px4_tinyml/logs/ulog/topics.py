"""uORB topics that the simulator logs or the PX4 module uses: their ULog formats as PX4 v1.17 writes them.

Source: PX4-Autopilot v1.17 msg/*.msg; the uORB generator puts `timestamp` first and orders the others by size.
`turbulence_truth` is a topic of this project.
"""

from __future__ import annotations

_LOCAL_POSITION = (
    "uint64_t timestamp;uint64_t timestamp_sample;uint64_t ref_timestamp;double ref_lat;double ref_lon;"
    "float x;float y;float z;float[2] delta_xy;float delta_z;float vx;float vy;float vz;float z_deriv;"
    "float[2] delta_vxy;float delta_vz;float ax;float ay;float az;float heading;float heading_var;"
    "float unaided_heading;float delta_heading;float tilt_var;float ref_alt;float dist_bottom;"
    "float dist_bottom_var;float delta_dist_bottom;float eph;float epv;float evh;float evv;float vxy_max;"
    "float vz_max;float hagl_min;float hagl_max_z;float hagl_max_xy;bool xy_valid;bool z_valid;"
    "bool v_xy_valid;bool v_z_valid;uint8_t xy_reset_counter;uint8_t z_reset_counter;"
    "uint8_t vxy_reset_counter;uint8_t vz_reset_counter;uint8_t heading_reset_counter;"
    "bool heading_good_for_control;bool xy_global;bool z_global;bool dist_bottom_valid;"
    "uint8_t dist_bottom_reset_counter;uint8_t dist_bottom_sensor_bitfield;bool dead_reckoning;"
)

FORMATS: dict[str, str] = {
    "sensor_combined": (
        "uint64_t timestamp;float[3] gyro_rad;uint32_t gyro_integral_dt;"
        "int32_t accelerometer_timestamp_relative;float[3] accelerometer_m_s2;"
        "uint32_t accelerometer_integral_dt;uint8_t accelerometer_clipping;uint8_t gyro_clipping;"
        "uint8_t accel_calibration_count;uint8_t gyro_calibration_count;"
    ),
    "vehicle_air_data": (
        "uint64_t timestamp;uint64_t timestamp_sample;uint32_t baro_device_id;float baro_alt_meter;"
        "float baro_pressure_pa;float ambient_temperature;float rho;uint8_t temperature_source;"
        "uint8_t calibration_count;uint8_t[2] _padding0;"
    ),
    "vehicle_local_position": _LOCAL_POSITION,
    "vehicle_local_position_groundtruth": _LOCAL_POSITION,
    "vehicle_attitude": (
        "uint64_t timestamp;uint64_t timestamp_sample;float[4] q;float[4] delta_q_reset;"
        "uint8_t quat_reset_counter;uint8_t[7] _padding0;"
    ),
    "vehicle_land_detected": (
        "uint64_t timestamp;bool freefall;bool ground_contact;bool maybe_landed;bool landed;"
        "bool in_ground_effect;bool in_descend;bool has_low_throttle;bool vertical_movement;"
        "bool horizontal_movement;bool rotational_movement;bool close_to_ground_or_skipped_check;"
        "bool at_rest;uint8_t[4] _padding0;"
    ),
    "vehicle_status": (
        "uint64_t timestamp;uint64_t armed_time;uint64_t takeoff_time;uint64_t nav_state_timestamp;"
        "uint32_t valid_nav_states_mask;uint32_t can_set_nav_states_mask;uint16_t failure_detector_status;"
        "uint8_t arming_state;uint8_t latest_arming_reason;uint8_t latest_disarming_reason;"
        "uint8_t nav_state_user_intention;uint8_t nav_state;uint8_t executor_in_charge;uint8_t hil_state;"
        "uint8_t vehicle_type;bool failsafe;bool failsafe_and_user_took_over;uint8_t failsafe_defer_state;"
        "bool gcs_connection_lost;uint8_t gcs_connection_lost_counter;bool high_latency_data_link_lost;"
        "bool is_vtol;bool is_vtol_tailsitter;bool in_transition_mode;bool in_transition_to_fw;"
        "uint8_t system_type;uint8_t system_id;uint8_t component_id;bool safety_button_available;"
        "bool safety_off;bool power_input_valid;bool usb_connected;bool open_drone_id_system_present;"
        "bool open_drone_id_system_healthy;bool parachute_system_present;bool parachute_system_healthy;"
        "bool rc_calibration_in_progress;bool calibration_enabled;bool pre_flight_checks_pass;uint8_t[6] _padding0;"
    ),
    "wind": (
        "uint64_t timestamp;uint64_t timestamp_sample;float windspeed_north;float windspeed_east;"
        "float variance_north;float variance_east;float tas_innov;float tas_innov_var;float beta_innov;"
        "float beta_innov_var;"
    ),
    "actuator_motors": (
        "uint64_t timestamp;uint64_t timestamp_sample;float[12] control;uint16_t reversible_flags;uint8_t[6] _padding0;"
    ),
    "parameter_update": (
        "uint64_t timestamp;uint32_t instance;uint32_t get_count;uint32_t set_count;uint32_t find_count;"
        "uint32_t export_count;uint16_t active;uint16_t changed;uint16_t custom_default;uint8_t[6] _padding0;"
    ),
    "debug_vect": "uint64_t timestamp;float x;float y;float z;char[10] name;uint8_t[2] _padding0;",
    "debug_array": "uint64_t timestamp;float[58] data;uint16_t id;char[10] name;uint8_t[4] _padding0;",
    "mavlink_log": "uint64_t timestamp;char[127] text;uint8_t severity;",
    "turbulence_truth": (
        "uint64_t timestamp;uint64_t timestamp_sample;float edr;float w20_m_s;float wind_speed_m_s;"
        "float height_m;float sigma_u;float sigma_v;float sigma_w;float length_u;float length_v;"
        "float length_w;float gust_n;float gust_e;float gust_d;"
    ),
}

CONSTANTS: dict[str, dict[str, tuple[str, str]]] = {
    "sensor_combined": {"RELATIVE_TIMESTAMP_INVALID": ("int32_t", "2147483647")},
    "debug_array": {"ARRAY_SIZE": ("uint8_t", "58")},
    "mavlink_log": {"ORB_QUEUE_LENGTH": ("uint8_t", "8")},
}
"""Constants of the messages that the module uses: name → (C type, value). Without a queue length uORB keeps one
message."""

ARMING_STATE_DISARMED, ARMING_STATE_ARMED = 1, 2
NAVIGATION_STATE_AUTO_MISSION = 3
VEHICLE_TYPE_ROTARY_WING = 1
MAV_TYPE_QUADROTOR = 2
