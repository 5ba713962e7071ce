import { Component, type ReactNode } from 'react';
import { StoreError } from './StoreError';

interface Props {
  headingLevel: 1 | 2;
  children: ReactNode;
}

/** The last net: a mistake of ours while drawing becomes a notice instead of an empty page. */
export class ErrorBoundary extends Component<Props, { failed: boolean }> {
  override state = { failed: false };

  static getDerivedStateFromError() {
    return { failed: true };
  }

  override render() {
    if (!this.state.failed) return this.props.children;
    return (
      <StoreError
        kind="failed"
        headingLevel={this.props.headingLevel}
        onRetry={() => this.setState({ failed: false })}
        busy={false}
      />
    );
  }
}
