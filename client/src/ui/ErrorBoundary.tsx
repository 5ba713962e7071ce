import { Component, type ReactNode } from 'react';
import { StoreTrouble } from './StoreTrouble';

interface Props {
  headingLevel: 1 | 2;
  children: ReactNode;
}

/** The last net: a mistake of ours while drawing becomes a notice instead of an empty page. */
export class ErrorBoundary extends Component<Props, { broken: boolean }> {
  override state = { broken: false };

  static getDerivedStateFromError() {
    return { broken: true };
  }

  override render() {
    if (!this.state.broken) return this.props.children;
    return (
      <StoreTrouble
        kind="failed"
        headingLevel={this.props.headingLevel}
        onRetry={() => this.setState({ broken: false })}
        busy={false}
      />
    );
  }
}
