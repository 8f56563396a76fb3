using Microsoft.Extensions.DependencyInjection;
using Microsoft.Extensions.DependencyInjection.Extensions;
using Shared.Snapshots;

namespace Shared.SignIn;

/// <summary>Registration of what lets people sign in. Nothing of it is made before somebody does.</summary>
internal static class SignInFeature
{
    public static IServiceCollection AddSignIn(this IServiceCollection services)
    {
        services.AddSingleton<SignedInCallers>();
        services.AddSingleton<ISnapshotCompiler, SignInTableCompiler>();
        services.TryAddSingleton<SignInConnections>();
        services.AddSingleton<IssuerDirectory>();
        services.AddSingleton<TokenValidator>();
        services.AddSingleton<SignInSecrets>();
        services.AddSingleton<SignInGrants>();
        services.AddSingleton<TokenAuthentication>();
        return services;
    }
}
