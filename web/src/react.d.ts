import "react";

declare module "react" {
  interface CSSProperties {
    /** How strongly a word is coloured, 0 to 1. */
    "--heat"?: number;
  }
}
