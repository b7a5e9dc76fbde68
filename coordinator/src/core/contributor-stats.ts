/** What is remembered of whoever serves, between sessions. */
export interface ContributorStats {
  jobsDone: number;
  jobsFailed: number;
  tokens: number;
  tokensPerSecond: number | null;
}
