export interface Activity {
  note(text: string): void;
  done(detail?: string): void;
  failed(detail?: string): void;
}
export function startActivity(title: string, stream?: NodeJS.WriteStream): Activity;
