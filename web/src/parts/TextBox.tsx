interface Props {
  id: string;
  label: string;
  placeholder: string;
  rows: number;
  value: string;
  change: (text: string) => void;
}

/** A text that must be given; Ctrl+Enter (or Cmd+Enter) sends the form it is in. */
export function TextBox({ id, label, placeholder, rows, value, change }: Props) {
  return (
    <>
      <label htmlFor={id}>{label}</label>
      <textarea
        id={id}
        rows={rows}
        required
        value={value}
        placeholder={placeholder}
        onChange={(event) => change(event.target.value)}
        onKeyDown={(event) => {
          if (event.key === "Enter" && (event.ctrlKey || event.metaKey)) {
            event.currentTarget.form?.requestSubmit();
          }
        }}
      />
    </>
  );
}
