// The frame around the pages.
import { useEffect, useState } from 'react';
import { api } from './api';
import { useConnection } from './connection';
import { clock } from './format';
import { JobPage } from './job';
import { OverviewPage } from './overview';
import { usePolled } from './poll';
import { parse, useHash } from './route';
import { useTheme, type Theme } from './theme';
import { Empty } from './ui';

export function App() {
  const config = usePolled('config', api.config, 0);
  const interval = Math.min(3000, Math.max(1000, config.data?.['refresh-interval'] ?? 2000));
  const route = parse(useHash());
  const jobId = route.page === 'job' ? route.id : undefined;
  useEffect(() => {
    if (!jobId) document.title = 'Pencere';
    window.scrollTo(0, 0);
  }, [jobId]);
  return (
    <>
      <a className="skip" href="#main" onClick={(e) => { e.preventDefault(); document.getElementById('main')?.focus(); }}>Skip to content</a>
      <TopBar version={config.data?.['flink-version']} />
      <LostConnection />
      <main id="main" tabIndex={-1}>
        {route.page === 'overview' && <OverviewPage interval={interval} />}
        {route.page === 'job' && <JobPage key={route.id} route={route} interval={interval} mayCancel={config.data?.features['web-cancel'] ?? true} />}
        {route.page === 'unknown' && <Empty title="No such page"><a href="#/">Go to the overview</a></Empty>}
      </main>
    </>
  );
}

function TopBar({ version }: { version: string | undefined }) {
  return (
    <header className="top">
      <a className="brand" href="#/">
        <svg viewBox="0 0 20 20" aria-hidden="true">
          <rect x="1" y="1" width="8" height="8" rx="2" />
          <rect x="11" y="1" width="8" height="8" rx="2" opacity=".5" />
          <rect x="1" y="11" width="8" height="8" rx="2" opacity=".5" />
          <rect x="11" y="11" width="8" height="8" rx="2" />
        </svg>
        Pencere
      </a>
      <nav aria-label="Main"><a href="#/" aria-current={location.hash.startsWith('#/jobs') ? undefined : 'page'}>Overview</a></nav>
      <span className="top-gap" />
      {version && <span className="muted top-version" title="The jobmanager's version">Version {version}</span>}
      <Clock />
      <ThemeSwitch />
    </header>
  );
}

function Clock() {
  const [now, setNow] = useState(Date.now);
  useEffect(() => {
    const timer = setInterval(() => setNow(Date.now()), 1000);
    return () => clearInterval(timer);
  }, []);
  return <time className="clock">{clock(now)}</time>;
}

const nextTheme: Record<Theme, Theme> = { auto: 'light', light: 'dark', dark: 'auto' };

function ThemeSwitch() {
  const [theme, setTheme] = useTheme();
  return (
    <button type="button" className="icon" onClick={() => setTheme(nextTheme[theme])} title={`Theme: ${theme}`} aria-label={`Theme: ${theme}. Switch to ${nextTheme[theme]}`}>
      <svg viewBox="0 0 16 16" aria-hidden="true">
        {theme === 'auto' && <><circle cx="8" cy="8" r="5.5" /><path d="M8 2.5v11a5.5 5.5 0 0 0 0-11Z" className="fill" /></>}
        {theme === 'light' && <><circle cx="8" cy="8" r="3" /><path d="M8 1v1.5M8 13.5V15M1 8h1.5M13.5 8H15M3.05 3.05l1.06 1.06M11.89 11.89l1.06 1.06M3.05 12.95l1.06-1.06M11.89 4.11l1.06-1.06" /></>}
        {theme === 'dark' && <path d="M13.5 9.8A5.8 5.8 0 0 1 6.2 2.5a5.8 5.8 0 1 0 7.3 7.3Z" />}
      </svg>
    </button>
  );
}

function LostConnection() {
  const { reason, since } = useConnection();
  return (
    <div role="status" aria-live="polite">
      {reason && (
        <div className="banner">
          <i className="dot warn pulse" />
          <strong>Connection lost:</strong> {reason}. What is shown is from {clock(since)}; trying again.
        </div>
      )}
    </div>
  );
}
