/** For how long an account knows a network or a device after the last login from there. */
export const KNOWN_DAYS = 90
