/** What a key may do at most; the server has the last word. */

import type { Start } from "../api/client";

export type Role = Start["role"];

/** From the least to the most. */
export const ROLES: readonly Role[] = ["viewer", "reviewer", "operator", "admin"];

export const allows = (role: Role, least: Role): boolean =>
  ROLES.indexOf(role) >= ROLES.indexOf(least);
