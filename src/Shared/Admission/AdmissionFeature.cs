using Microsoft.Extensions.DependencyInjection;
using Microsoft.Extensions.DependencyInjection.Extensions;
using Shared.Snapshots;

namespace Shared.Admission;

/// <summary>Registration of admission.</summary>
public static class AdmissionFeature
{
    /// <summary>Adds the <see cref="AdmissionController"/>. Needs an <see cref="Ledger.ILedger"/> and an <see cref="Ledger.ISpendHistory"/>.</summary>
    public static IServiceCollection AddAdmission(this IServiceCollection services)
    {
        services.TryAddSingleton(TimeProvider.System);
        services.AddSingleton<AdmissionController>();
        services.AddSingleton<ISnapshotCompiler, AdmissionTableCompiler>();
        return services;
    }
}
