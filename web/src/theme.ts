// Dark or light: the system's choice unless the user made one.
import { useEffect, useState } from 'react';

export type Theme = 'auto' | 'light' | 'dark';

const storageKey = 'pencere-theme';

function stored(): Theme {
  try {
    const theme = localStorage.getItem(storageKey);
    return theme === 'light' || theme === 'dark' ? theme : 'auto';
  } catch {
    return 'auto'; // a browser that allows no storage
  }
}

export function useTheme(): [Theme, (theme: Theme) => void] {
  const [theme, setTheme] = useState(stored);
  useEffect(() => {
    document.documentElement.style.colorScheme = theme === 'auto' ? '' : theme;
    try {
      localStorage.setItem(storageKey, theme);
    } catch {
      // The choice holds for this page only.
    }
  }, [theme]);
  return [theme, setTheme];
}
