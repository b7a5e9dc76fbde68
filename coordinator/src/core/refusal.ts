/** Why the coordinator ends a connection. */
export interface Refusal {
  readonly closeCode: number;
  readonly code: string;
  readonly message: string;
  readonly remedy: string;
  readonly retry: boolean;
}
